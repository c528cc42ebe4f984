"""When something that fails is left alone, and when it is tried again."""

from serve_apps.rerank.breaker import Breaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_failures_in_a_row_open_it_and_one_success_starts_the_count_again() -> None:
    breaker = Breaker(most_failures=3)
    assert [breaker.failed(), breaker.failed(), breaker.allows()] == [False, False, True]
    breaker.succeeded()
    assert [breaker.failed(), breaker.failed(), breaker.allows()] == [False, False, True]
    assert breaker.failed() and not breaker.allows()


def test_after_a_rest_one_may_try_and_the_others_only_when_that_worked() -> None:
    clock = Clock()
    breaker = Breaker(most_failures=1, rest_s=5.0, clock=clock)
    assert breaker.failed()
    clock.now = 4.9
    assert not breaker.allows()
    clock.now = 5.0
    assert [breaker.allows(), breaker.allows()] == [True, False]
    assert not breaker.failed()  # it was open already
    clock.now = 9.9
    assert not breaker.allows()
    clock.now = 10.0
    assert breaker.allows()
    breaker.succeeded()
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_an_attempt_that_never_ends_is_followed_by_another() -> None:
    clock = Clock()
    breaker = Breaker(most_failures=1, rest_s=5.0, clock=clock)
    breaker.failed()
    for clock.now in (5.0, 10.0):
        assert breaker.allows()
