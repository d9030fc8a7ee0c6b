"""Everything that makes a companion of the method: it imports `chexreason`, never the other way round.

`phantoms` draws X-rays whose findings are known and makes the miniature models; `experiment` trains the arms of our
own study; `evidence` judges what the paper and the runs support; `report` shows it; `replication` is for those who
hold the real data; `speed` has faster trainers and decoders; `workflow` runs the stages and the command line.
"""
