"""What contrastive and decorrelating methods share: views of whole batches, and terms of losses."""
