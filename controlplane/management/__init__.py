"""Commands that need domain and tools at once."""
