"""The load lab: the same work for Tidegate and its peers, measured side by side on one machine."""
