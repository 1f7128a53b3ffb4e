"""Parts of the lab's page: the shelf of studies, a new one, one that runs, its report, claims, blind reading,
tuning."""
