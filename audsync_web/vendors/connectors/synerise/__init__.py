"""Synerise: profile tags fed in batches, and segmentations as a source."""

from .connector import SyneriseConnector

__all__ = ["SyneriseConnector"]
