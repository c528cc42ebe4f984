"""Nodes for Ray's launcher on AWS: spot instances while there are any, on-demand ones while there are none.

    provider:
      type: external
      module: pinrank.deploy.spot.AwsSpotFirst

Ray's own provider asks for spot capacity again and again when AWS has none, and neither of its autoscalers turns to
another node type after a refused launch: a job would wait for as long as the shortage lasts.
"""

import logging
from typing import Any

from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException

log = logging.getLogger(__name__)

MARKET = "InstanceMarketOptions"
"""The key of a node_config that asks for spot instances."""

NO_SPOT = frozenset(
    {
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "MaxSpotInstanceCountExceeded",
        "SpotMaxPriceTooLow",
        "UnfulfillableCapacity",
        "Unsupported",
    }
)
"""EC2's codes for a launch that may well succeed on demand. Others (rights, typing errors, quotas) would fail again."""


class SpotFirst:
    """Mixed into a node provider of Ray: a launch for which there is no spot capacity is made on demand at once.

    The next launch asks for spot capacity again.
    """

    def create_node_with_resources_and_labels(
        self,
        node_config: dict[str, Any],
        tags: dict[str, str],
        count: int,
        resources: dict[str, float],
        labels: dict[str, str],
    ) -> Any:
        """Launch `count` nodes. Raises NodeLaunchException when there are none on demand either."""
        launch = super().create_node_with_resources_and_labels  # type: ignore[misc]
        try:
            return launch(node_config, tags, count, resources, labels)
        except NodeLaunchException as refused:
            if MARKET not in node_config or refused.category not in NO_SPOT:
                raise
            log.warning("no spot capacity (%s), launching %d on demand", refused.category, count)
        on_demand = {key: value for key, value in node_config.items() if key != MARKET}
        return launch(on_demand, tags, count, resources, labels)


class AwsSpotFirst(SpotFirst, AWSNodeProvider):
    """EC2 instances."""
