"""Where digits come from and where submissions go: Kaggle, the practice competition, a folder."""
