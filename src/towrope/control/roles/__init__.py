"""Role definitions, and what an assignment of one allows: pure, without store or network."""
