group "all" {
  targets = ["app", "tool"]
}
target "app" {
  name = "app-${replace(version, ".", "-")}-${kind.name}"
  matrix = {
    version = ["1.0", "2.0"]
    kind = [
      { name = "debug", args = { DEBUG = "1" } },
      { name = "release", args = {} },
    ]
  }
  target = kind.name
  tags   = ["example/app:${version}-${kind.name}"]
  args   = merge({ VERSION = version }, kind.args)
}
target "tool" {
  inherits = ["app-1-0-debug"]
  tags     = [for tag in target.app-2-0-release.tags : "${tag}-tool"]
  matrix   = { unused = ["x"] }
  name     = "tool-${unused}"
}
