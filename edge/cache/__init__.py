"""Keys, values and vision results kept between turns."""
