"""The bounded mapping: what was used lately stays, the rest goes, and it never weighs more than its limit."""

from __future__ import annotations

import random

from autoperf.memo.lru import Recent


def test_keeps_what_was_put() -> None:
    recent: Recent[str, int] = Recent(100, lambda _key, _value: 1)
    recent.put("a", 1)
    assert (recent.get("a"), recent.get("b")) == (1, None)


def test_what_is_asked_for_outlives_what_is_not() -> None:
    recent: Recent[int, int] = Recent(20, lambda _key, _value: 1)
    recent.put(-1, 7)
    for number in range(100):
        recent.put(number, number)
        assert recent.get(-1) == 7
    assert recent.get(0) is None
    assert recent.get(99) == 99


def test_never_weighs_more_than_its_limit() -> None:
    recent: Recent[int, int] = Recent(1000, lambda _key, value: value)
    rng = random.Random(1)
    for number in range(500):
        recent.put(number, rng.randint(1, 400))
        kept = [value for key in range(number + 1) if (value := (recent._young | recent._old).get(key))]
        assert sum(kept) <= 1000


def test_what_is_too_heavy_is_not_kept() -> None:
    recent: Recent[str, int] = Recent(10, lambda _key, value: value)
    recent.put("light", 2)
    recent.put("heavy", 6)
    assert recent.get("heavy") is None
    assert recent.get("light") == 2
    assert len(recent) == 1


def test_clear_forgets_everything() -> None:
    recent: Recent[str, int] = Recent(10, lambda _key, _value: 1)
    recent.put("a", 1)
    recent.clear()
    assert recent.get("a") is None
    assert len(recent) == 0
