TAG = "second"
target "app" {
  args = { B = "second" }
  platforms = ["linux/arm64"]
}
