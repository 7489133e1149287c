"""mediarithmics: USER_LIST segments, fed by document imports and their executions."""

from .connector import MediarithmicsConnector

__all__ = ["MediarithmicsConnector"]
