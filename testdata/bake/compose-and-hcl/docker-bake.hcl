target "app" {
  args = { A = "hcl" }
  tags = ["example/app"]
}
