"""Answers conversations greedily with transformers, in f32; the settings are one JSON object, so is the result."""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings["threads"])
model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(settings["model"])
answers = []
for messages in settings["conversations"]:
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    ids = torch.tensor([prompt])
    output = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=settings["tokens"], do_sample=False)
    answer = output[0, len(prompt) :].tolist()
    answers.append({"prompt": prompt, "answer": answer[:-1] if answer[-1] == tokenizer.eos_token_id else answer})
print(json.dumps(answers))
