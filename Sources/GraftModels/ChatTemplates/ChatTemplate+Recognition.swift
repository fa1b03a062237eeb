extension ChatTemplate {
  /// The template that a Jinja text is known to be; nil for others.
  ///
  /// Texts are compared by a hash of their normalized form (``JinjaText``), so that a template is either known to the letter or
  /// not at all. The default system message of a ChatML template may be any.
  public static func recognized(_ jinja: String, marks: Marks) -> ChatTemplate? {
    let text = JinjaText(jinja)
    guard let name = name(ofDigest: text.digest),
      let layout = ChatLayout.table.first(where: { $0.name == name })?.layout
    else { return nil }
    return ChatTemplate(
      name: name,
      layout: layout.with { if let system = text.defaultSystem { $0.defaultSystem = system } },
      marks: marks)
  }

  /// The name of the template whose normalized text has a hash.
  package static func name(ofDigest digest: UInt64) -> String? {
    digests.first { $0.digest == digest }?.name
  }

  /// The name of the template that an unknown one shares its marks with, for advice.
  public static func resembling(_ jinja: String) -> String? {
    likenesses.first { row in row.marks.allSatisfy { jinja.contains($0) } }?.name
  }

  private static let likenesses: [(marks: [String], name: String)] = [
    (["<|im_start|>", "</think>"], "qwen3"), (["<|im_start|>", "<|im_sep|>"], "phi4"),
    (["<|im_start|>", "<|im_end|>"], "chatml"),
    (["<|start_header_id|>", "Cutting Knowledge Date"], "llama3.1"),
    (["<|start_header_id|>", "<|eot_id|>"], "llama3"), (["[INST]", "<<SYS>>"], "llama2"),
    (["[INST]"], "mistral-v3"), (["<start_of_turn>", "<end_of_turn>"], "gemma3"),
    (["<|user|>", "<|end|>"], "phi3"), (["<|user|>", "eos_token"], "zephyr"),
    (["### Instruction:", "### Response:"], "alpaca"),
  ]

  /// The hashes of known Jinja texts; `Fixtures/generate/chat.py` computes them and tries the texts.
  private static let digests: [(digest: UInt64, name: String)] = [
    (0x5D024DF2DA48DE7E, "chatml"),
    (0x192AFAB84B7E1CED, "chatml"),
    (0xFD7055563C09482E, "chatml"),
    (0x7429FBF2E175C67D, "chatml"),
    (0x588D4E7F60EF55E8, "chatml"),
    (0xD881E120CD3DC7D0, "qwen2.5"),
    (0xDBB87F3E4CF37E65, "qwen3"),
    (0x661868E509BD327C, "qwen3"),
    (0xBA5CD204BDFBCF27, "llama2"),
    (0x98DB376B81142D86, "llama3"),
    (0x21B73EBD476D763F, "llama3"),
    (0x090FE644C86F2657, "llama3"),
    (0x67078C19D54DF7BA, "llama3.1"),
    (0xC1088EC0B99B68E4, "llama3.1"),
    (0x1AFF17F06D6FEAE6, "mistral-v0.1"),
    (0x2BC9246E3E4F7959, "mistral-v0.2"),
    (0x75537EA36EDADBFD, "mistral-v1"),
    (0x17D609CE8773976F, "mistral-v1"),
    (0xE57BB168810ECBE3, "mistral-v3"),
    (0x119BB16CBC1B63AE, "mistral-v3-tekken"),
    (0xBAE5396CCB8130F6, "mistral-v3-tekken"),
    (0x25B2E09FB814692B, "gemma"),
    (0x5DF2EA7CA0FB6254, "gemma"),
    (0x3EACC8C1B1BB17CD, "gemma3"),
    (0x658E43E73DC9B71A, "zephyr"),
    (0x8A780E574EFF37DF, "zephyr"),
    (0xBC8EE285926A194F, "phi3"),
    (0x3D981B8A4DC1B2BA, "phi3.5"),
    (0xAFD41DD7058586E8, "alpaca"),
  ]
}
