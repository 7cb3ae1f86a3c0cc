target "one" {
  args    = { V = "1", W = target.two.args.V }
  context = "one"
}
target "two" {
  args       = { V = "2" }
  context    = target.one.context
  dockerfile = "${target.one.args.V}.Dockerfile"
}
