/// This release of Graft.
public enum Release {
  /// The version that `graft --version` and written files name.
  public static let version = "0.1.0"
}
