/// A graph after all passes: what an executable runs, and what a planner looks at without the memory to run it.
package struct Compilation: Sendable {
  /// The graph with what runs again.
  package let graph: Graph
  /// What is kept for the backward pass.
  package let plan: RecomputePlan
  /// The requested values in the graph.
  package let outputs: [Value: Value]
  /// The steps in order.
  package let schedule: Schedule
  /// Where intermediate values lie.
  package let memoryPlan: MemoryPlan
  /// The bases of the values that somebody reads.
  package let used: Set<Value>
  /// The forward phases of what runs again, by place.
  package let copiedFrom: [Int: Int]
  /// What compiling came to.
  package let report: CompilationReport

  /// Runs the passes.
  ///
  /// - Throws: ``GraphError`` when a graph breaks a rule.
  package init(
    _ source: Graph, outputs requested: [Value], plan: RecomputePlan, fuses: Bool
  ) throws(GraphError) {
    try source.verify()
    let rematerialized = source.rematerialized(plan)
    let graph = rematerialized.graph
    copiedFrom = rematerialized.copiedFrom
    try graph.verify()
    outputs = Dictionary(
      requested.map { ($0, rematerialized[$0]) }, uniquingKeysWith: { first, _ in first })
    let kept = Set(outputs.values.map { graph.base(of: $0) })
    let live = graph.liveNodes(outputs: outputs.values)
    let fusion = Fusion(graph, live: live, outputs: kept, fuses: fuses)
    schedule = Schedule(graph, live: live, fusion: fusion, outputs: kept)
    report = CompilationReport(graph, schedule, live: live)
    used = graph.usedValues(live: live, outputs: kept)
    memoryPlan = MemoryPlan(graph, schedule, used: used, outputs: kept)
    self.graph = graph
    self.plan = plan
  }
}

extension Compilation {
  /// Runs the passes with the plan that the options ask for.
  ///
  /// - Throws: ``GraphError`` when a graph breaks a rule, or no plan's arena fits.
  package init(
    _ source: Graph, outputs: [Value], options: CompilerOptions
  ) throws(GraphError) {
    let plan: RecomputePlan
    switch options.recompute {
    case .none: plan = .kernels(in: source, outputs: outputs)
    case .block: plan = .borders(in: source)
    case .smallest, .within:
      var planner = RecomputePlanner(source, outputs: outputs, fuses: options.fusion)
      if case .within(let byteCount) = options.recompute {
        self = try planner.quickest(within: byteCount)
      } else {
        self = try planner.smallest()
      }
      return
    }
    try self.init(source, outputs: outputs, plan: plan, fuses: options.fusion)
  }
}
