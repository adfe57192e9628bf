"""How far each evasion lowers recall, as curves: `python -m bench.evasion`."""
