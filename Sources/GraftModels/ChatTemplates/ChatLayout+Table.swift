extension ChatLayout {
  /// The layouts by the names that `--chat-template` takes.
  static let table: [(name: String, layout: ChatLayout)] = [
    ("chatml", chatML),
    ("smollm2", chatML.with { $0.defaultSystem = smolLM2 }),
    ("qwen2", chatML.with { $0.defaultSystem = "You are a helpful assistant." }),
    ("qwen2.5", chatML.with { $0.defaultSystem = qwen2_5 }),
    ("qwen3", chatML.with { $0.keepsLastReasoning = true }),
    ("llama2", llama2), ("llama3", llama3), ("llama3.1", llama3_1),
    ("mistral-v0.1", mistral("[INST] ", " [/INST]", "", "{eos} ", system: .refused)),
    ("mistral-v0.2", mistral("[INST] ", " [/INST]", "", "{eos}", system: .refused)),
    ("mistral-v1", mistral(" [INST] ", " [/INST]", " ", "{eos}", system: .firstUser(aside))),
    ("mistral-v3", mistral("[INST] ", "[/INST]", " ", "{eos}", system: .lastUser(aside))),
    ("mistral-v3-tekken", mistral("[INST]", "[/INST]", "", "{eos}", system: .lastUser(aside))),
    ("gemma", gemma.with { $0.system = .refused }), ("gemma3", gemma),
    ("zephyr", ChatLayout(turn: "<|{role}|>\n", "{eos}\n")),
    ("phi3", phi3), ("phi3.5", phi3.with { $0.omitsEmptySystem = true }),
    ("phi4", ChatLayout(turn: "<|im_start|>{role}<|im_sep|>", "<|im_end|>")),
    ("alpaca", alpaca),
  ]

  private static let chatML = ChatLayout(turn: "<|im_start|>{role}\n", "<|im_end|>\n")
  private static let smolLM2 =
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
  private static let qwen2_5 =
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."

  private static let llama2 = ChatLayout(
    system: .firstUser(Turn("<<SYS>>\n", "\n<</SYS>>\n\n")),
    user: Turn("{bos}[INST] ", " [/INST]"), assistant: Turn(" ", " {eos}")
  ).with {
    $0.opening = ""
    $0.trimming = .turns
    $0.alternates = true
  }

  private static let llama3 = ChatLayout(
    turn: "<|start_header_id|>{role}<|end_header_id|>\n\n", "<|eot_id|>"
  ).with {
    $0.start = "{bos}"
    $0.trimming = .messages
  }

  /// Llama 3.1 to 3.3: the system turn tells two dates, of which the second is what the template has where no clock is.
  private static let llama3_1 = llama3.with {
    guard case .turn(let turn) = $0.system else { return }
    let dates = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
    $0.system = .heading(Turn(turn.prefix + dates, turn.suffix), later: turn)
    $0.defaultSystem = ""
  }

  private static let aside = Turn("", "\n\n")

  private static func mistral(
    _ before: String, _ after: String, _ answer: String, _ end: String, system: System
  ) -> ChatLayout {
    ChatLayout(system: system, user: Turn(before, after), assistant: Turn(answer, end)).with {
      $0.start = "{bos}"
      $0.opening = ""
      $0.alternates = true
    }
  }

  private static let gemma = ChatLayout(
    turn: "<start_of_turn>{role}\n", "<end_of_turn>\n", assistant: "model"
  ).with {
    $0.start = "{bos}"
    $0.system = .firstUser(aside)
    $0.trimming = .messages
    $0.alternates = true
  }

  private static let phi3 = ChatLayout(turn: "<|{role}|>\n", "<|end|>\n").with { $0.end = "{eos}" }

  private static let alpaca = ChatLayout(
    system: .preface(Turn("", "")), user: Turn("### Instruction:\n", ""),
    assistant: Turn("### Response:\n", "{eos}")
  ).with {
    $0.start = "{bos}"
    $0.separator = "\n\n"
  }
}
