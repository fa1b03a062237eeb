internal import GraftCore

/// The scratch that some work needs, known from its shapes before it runs.
package struct ScratchNeed: Sendable, Equatable {
  /// Bytes of each worker, by purpose.
  private(set) var own = [Int](repeating: 0, count: Worker.Purpose.allCases.count)
  /// Bytes that the tasks of one job share.
  private(set) var shared = 0
  /// The products that oneDNN makes.
  private(set) var primitives: Set<ProductForm> = []
  /// Whether OpenBLAS makes some.
  package private(set) var usesBLAS = false

  /// Whether oneDNN multiplies in f32.
  package var multipliesWide: Bool { primitives.contains { $0.a.dtype == .f32 } }

  /// No need.
  package init() {}

  /// Adds work that runs at another time.
  package mutating func include(_ other: ScratchNeed) {
    for purpose in Worker.Purpose.allCases {
      include(other.own[purpose.rawValue], for: purpose)
    }
    includeShared(other.shared)
    primitives.formUnion(other.primitives)
    usesBLAS = usesBLAS || other.usesBLAS
  }

  mutating func include(_ byteCount: Int, for purpose: Worker.Purpose) {
    own[purpose.rawValue] = max(own[purpose.rawValue], byteCount)
  }

  mutating func includeShared(_ byteCount: Int) { shared = max(shared, byteCount) }

  /// Adds a product on one thread; `bf16` when products of bf16 values are oneDNN's.
  mutating func include(_ product: ProductForm, bf16: Bool) {
    if bf16 && product.isNarrow {
      includePrimitive(product)
    } else if product.isWide {
      includeOperands(of: product)
      includePrimitive(product.wide)
    } else {
      includeRefused(product)
    }
  }

  private mutating func includePrimitive(_ product: ProductForm) {
    guard primitives.insert(product).inserted else { return }
    include(OneDNN.scratchByteCount(of: product), for: .library)
  }

  /// Adds a product that oneDNN doesn't make.
  mutating func includeRefused(_ product: ProductForm) {
    includeOperands(of: product)
    include(product.packedCount * 4, for: .packed)
    usesBLAS = usesBLAS || !product.isSkinny
  }

  /// Adds the operands of a product in f32.
  private mutating func includeOperands(of product: ProductForm) {
    include(product.a.convertedByteCount, for: .left)
    include(product.b.convertedByteCount, for: .right)
    include(product.c.convertedByteCount, for: .result)
  }

  /// The bytes of all workers' scratch and of what they share, in whole pages.
  package func byteCount(threads: Int) -> Int {
    threads * own.reduce(0) { $0 + Memory.pages($1) } + Memory.pages(shared)
  }
}
