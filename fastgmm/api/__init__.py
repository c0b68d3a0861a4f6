"""What a caller of the library uses: `fit`, `select`, `Mixture`, `Selection`, `precompile`."""
