"""How good answers are: verification of pairs, open-set identification, calibrated probabilities, thresholds.

The metrics are pure NumPy on distances; terms and definitions are those of ISO/IEC 19795-1.
"""
