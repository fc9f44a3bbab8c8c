"""Why a run differs from its reference: from facts to a cause."""
