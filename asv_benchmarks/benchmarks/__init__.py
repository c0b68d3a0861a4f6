"""What asv measures, one file a capability; `common` holds the data and the clocks."""
