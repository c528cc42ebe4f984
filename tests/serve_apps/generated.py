"""What JSON Schema cannot say of a request: schemathesis' program `st` loads this file by SCHEMATHESIS_HOOKS."""

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Columns of pair_features as long as pin_ids."""
    body = case.body
    if not isinstance(body, dict) or not isinstance(body.get("pin_ids"), list):
        return
    num_pins, columns = len(body["pin_ids"]), body.get("pair_features")
    for name, column in columns.items() if isinstance(columns, dict) else ():
        if isinstance(column, list):
            columns[name] = [*column, *[None] * num_pins][:num_pins]
