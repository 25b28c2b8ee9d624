"""Who looks at what was hinted at: workers in this process, or on many machines."""
