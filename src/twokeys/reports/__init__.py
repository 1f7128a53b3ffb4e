"""Pictures and pages made of a study's results: charts, their export, and the HTML report."""
