// Command empty does nothing: the least that a plugin's process costs.
package main

func main() {}
