"""Xandr (Microsoft Monetize): segments and the Batch Segment Service, on the Console and the Impbus host.

Files only add and remove, so the engine sends differences. One member feeds one address at a time: everything that
sends passes the member's gate. The vendor's text format is the one used; what it leaves open is answered with the
cautious choice of the spec's register, each where it applies.
"""

from __future__ import annotations

from .connector import XandrConnector

__all__ = ["XandrConnector"]
