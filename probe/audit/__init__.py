"""What a service keys on over many pictures: found by evidence, tested in other pictures."""

from probe.audit.audit import audit
from probe.audit.records import Audit, Effect, Feature, Item, Wishes
from probe.audit.workers import Alone, Workers

__all__ = ["Alone", "Audit", "Effect", "Feature", "Item", "Wishes", "Workers", "audit"]
