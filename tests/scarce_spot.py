"""A cloud on one machine without any spot capacity: Ray's fake node provider under the rule that AWS's nodes follow."""

import json
from pathlib import Path
from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FakeMultiNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.tags import TAG_RAY_NODE_STATUS, TAG_RAY_USER_NODE_TYPE

from pinrank.deploy.spot import MARKET, SpotFirst


class ScarceSpot(FakeMultiNodeProvider):
    """Nodes as processes of this machine; every launch is written down, and those on the spot market are refused."""

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self._nodes[FAKE_HEAD_NODE_ID]["tags"][TAG_RAY_USER_NODE_TYPE] = "head"

    def create_node_with_resources_and_labels(
        self,
        node_config: dict[str, Any],
        tags: dict[str, str],
        count: int,
        resources: dict[str, float],
        labels: dict[str, str],
    ) -> None:
        market = "spot" if MARKET in node_config else "on demand"
        with Path(self.provider_config["launches"]).open("a") as file:
            file.write(json.dumps([tags[TAG_RAY_USER_NODE_TYPE], node_config["InstanceType"], market]) + "\n")
        if market == "spot":
            raise NodeLaunchException("InsufficientInstanceCapacity", "there is none", None)
        up = {name: value for name, value in tags.items() if name != TAG_RAY_NODE_STATUS}
        super().create_node_with_resources_and_labels(node_config, up, count, resources, labels)


class SpotFirstOnOneMachine(SpotFirst, ScarceSpot):
    """What the autoscaler of the test launches nodes with."""
