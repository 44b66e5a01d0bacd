"""The article's explanations as others compute them, to measure ours against; needs torch and captum."""
