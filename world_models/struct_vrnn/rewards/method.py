"""Reward heads as the verbs know them."""

from world_models.struct_vrnn.rewards.head import RewardHead, RewardHeadConfig
from world_models.struct_vrnn.rewards.recipe import RewardRun
from world_models.struct_vrnn.rewards.run import train_rewards
from world_models.struct_vrnn.rewards.table import RewardEvaluation, evaluate_rewards
from world_models.training.method import Evaluation, Method

REWARDS = Method(
    config=RewardHeadConfig,
    load=RewardHead.load,
    runs={"rewards": ("reward heads of a finished Struct-VRNN run", RewardRun())},
    train=train_rewards,
    evaluations={
        "rewards": Evaluation(
            RewardEvaluation,
            lambda job, command: evaluate_rewards(job, command)["table"],
            lambda job: [job.out] if job.plot is None else [job.out, job.plot],
        ),
    },
)
