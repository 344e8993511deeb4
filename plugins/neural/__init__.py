"""What every neural click model shares: rows as tensors, embeddings, training, evidence, files.

    recipe          parameters of a training, for forms (imports no torch)
    network         what a network has to offer: embeddings of the fields, logits of the embeddings
    embedding, layers               parts that networks are put together from
    batches, imbalance, regularise    rows of an epoch, weights and sampling, what holds embeddings back
    step, epoch, loop, training     one step, one pass over the rows, all epochs; networks on rows trained by them
    devices, optimisers, training_state, checkpoint, probe, estimate    what they need before and between epochs
    scoring, gradients, fitted, click    predictions, contributions, files, and the estimator of a one-label model

A model describes its equations in a `Network` and its loss in an `Objective`; the loop knows neither.
"""
