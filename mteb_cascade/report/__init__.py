"""Tables, figures and the HTML page, from results alone."""
