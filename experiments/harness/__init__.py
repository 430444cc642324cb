"""What published results and sentences share: claims, how they are measured, judged and told."""
