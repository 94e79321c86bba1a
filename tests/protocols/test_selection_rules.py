"""What each shipped protocol holds out where an epoch is chosen: what its training and test part differ in."""

from __future__ import annotations

from stars_bench import registry
from stars_bench.protocols.novel import FEWSHOT, ONESHOT, UNSEEN, ZEROSHOT

HELD_OUT = {
    "subject": {"xsub", "xsub-limited", "xsub-v1", "xsub-v2", "as1", "as2", "as3"},
    "camera": {"xview"},
    "setup": {"xset"},
    None: {
        "official",
        "split1",
        "split2",
        "split3",
        "split4",
        "split5",
        *(one.name for one in (UNSEEN, ONESHOT, FEWSHOT, ZEROSHOT)),
        *registry.CLASS_SPLITS,
    },
}


def test_every_protocol_says_what_it_holds_out() -> None:
    found = {name: registry.load("protocols", name).held_out for name in registry.names("protocols")}
    assert found == {name: column for column, names in HELD_OUT.items() for name in names}
