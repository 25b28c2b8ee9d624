"""EspoCRM and Advoware as local servers, to try a sync against."""
