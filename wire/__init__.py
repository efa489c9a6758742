"""The dialects as typed values: what a request asks, what an answer says."""
