"""Arrays to pictures: panels, sheets, charts, and the figures written in them."""
