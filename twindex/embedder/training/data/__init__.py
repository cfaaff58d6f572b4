"""What a network learns from: faces, how they are varied and drawn, and a teacher's view of them."""
