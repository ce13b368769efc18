"""How far a net is off: errors of single samples, metrics, protocols, intervals, comparison, report card."""
