"""Tests of what single drivers do beyond the common promises."""
