target "app" {
  args   = { A = "1" }
  tags   = ["example/app"]
  output = ["type=registry"]
}
target "app2" { inherits = ["app"] }
target "lib" {}
