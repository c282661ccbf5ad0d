"""Pure values and rules: what a run is, what a message means, where a run goes next."""
