from pinrank.evaluation.comparison import Figure
from pinrank.served.alert import AlertSettings, alerts

FIGURES = {
    "ndcg_at_10": Figure(0.8, (0.7, 0.9)),
    "drift_levels": Figure(0.5, (0.4, 0.6)),
    "qwk": Figure(None, (None, None)),
}


def named(**limits: object) -> list[str]:
    return [alert.metric for alert in alerts(FIGURES, AlertSettings.model_validate(limits))]


def test_a_figure_beyond_its_limit_calls_somebody() -> None:
    assert named() == []
    assert named(ndcg_at_10=0.8, drift_levels=0.5) == []
    assert named(ndcg_at_10=0.81, drift_levels=0.49) == ["ndcg_at_10", "drift_levels"]
    assert named(qwk=0.9) == []


def test_chance_calls_nobody_where_that_is_asked() -> None:
    assert named(ndcg_at_10=0.85, drift_levels=0.45, surely=True) == []
    assert named(ndcg_at_10=0.91, drift_levels=0.39, surely=True) == ["ndcg_at_10", "drift_levels"]


def test_an_alert_says_what_and_how_far() -> None:
    [alert] = alerts(FIGURES, AlertSettings(ndcg_at_10=0.95))
    assert str(alert) == "ndcg_at_10 is 0.800 (0.700 to 0.900), beyond the limit 0.95"
