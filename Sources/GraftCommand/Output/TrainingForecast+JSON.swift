import Graft

extension TrainingForecast {
  /// The forecast for programs.
  var json: JSONValue {
    object([
      ("modules", .array(modules.map { .string($0) })), ("dropout", JSONValue(dropout)),
      ("wholeTensors", .array(wholeTensors.map { .string($0) })),
      ("parameterCount", JSONValue(parameterCount)), ("windowCount", JSONValue(windowCount)),
      ("stepCount", JSONValue(stepCount)), ("tokensPerStep", JSONValue(tokensPerStep)),
      ("fusion", fusion), ("arena", arena), ("blocks", .array(summary.blocks.map(block))),
      (
        "memory",
        object([
          ("peakBytes", JSONValue(memory.peakBytes)),
          ("processBytes", JSONValue(memory.baselineBytes)),
          ("arenaBytes", JSONValue(memory.arenaBytes)),
          ("stateBytes", JSONValue(memory.stateBytes)),
          ("scratchBytes", JSONValue(memory.scratchBytes)),
          ("mappedBytes", JSONValue(mappedBytes)), ("convertedBytes", JSONValue(convertedBytes)),
        ])
      ),
      ("planningSeconds", JSONValue(planningSeconds)),
      ("secondsPerStep", JSONValue(secondsPerStep)),
    ])
  }

  private var fusion: JSONValue {
    object([
      ("groups", JSONValue(report.groupCount)), ("kernels", JSONValue(report.kernelCount)),
      ("chains", JSONValue(report.chainCount)), ("bytesMoved", JSONValue(report.bytesMoved)),
      ("largestGroup", summary.largestGroup.map(group) ?? .null),
    ])
  }

  private func group(_ group: CompilationSummary.Group) -> JSONValue {
    object([
      ("rows", JSONValue(group.rows)), ("columns", JSONValue(group.columns)),
      ("operations", object(group.operations.map { ($0.name, JSONValue($0.count)) })),
    ])
  }

  private var arena: JSONValue {
    let stages = summary.stages.map {
      object([("name", .string($0.name)), ("byteCount", JSONValue($0.byteCount))])
    }
    let largest = summary.buffers.map {
      object([
        ("operation", .string($0.operation)), ("type", .string($0.type)),
        ("count", JSONValue($0.count)), ("byteCount", JSONValue($0.byteCount)),
      ])
    }
    return object([
      ("byteCount", JSONValue(arenaBytes)), ("stages", .array(stages)),
      ("largest", .array(largest)),
    ])
  }

  private func block(_ block: CompilationSummary.Block) -> JSONValue {
    object([
      ("keepsInput", .bool(block.keepsInput)), ("keptBytes", JSONValue(block.keptByteCount)),
      ("kernelsAgain", JSONValue(block.kernelsAgain)),
    ])
  }

  private func object(_ members: [(key: String, value: JSONValue)]) -> JSONValue {
    .object(JSONObject(members: members))
  }
}
