"""Measure answers: verification of pairs, open-set identification, calibrated probabilities, thresholds.

The terms are those of ISO/IEC 19795-1. As in NIST's FRTE, a photo without a usable face counts as a miss, so FMR and
FNMR are what the standard calls generalised rates.
"""
