"""The hub on this machine that these tests ask."""

from tests.hosting.fixtures import cache, local_hub, scene, storage, waits

__all__ = ["cache", "local_hub", "scene", "storage", "waits"]
